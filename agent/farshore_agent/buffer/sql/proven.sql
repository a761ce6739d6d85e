-- An answer names the batches that the hub has: nothing depends any more on whether one was once in a parcel.
ALTER TABLE batches DROP COLUMN sent;
