"""The files of the lake, in a folder or in an object store that speaks S3: the one place that knows the difference.

Delta's log is written by delta-rs, which takes the same location and options; everything else reads and writes through
here.
"""
