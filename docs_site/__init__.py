"""The documentation as a site: its pages are put together here, the generator makes HTML of them."""
