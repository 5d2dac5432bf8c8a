"""Files that appear whole and are their owner's alone, buckets, and the lock of those who write.

In: bytes and places. Out: files, objects of a bucket, a lock.
Never knows: what the bytes mean.
"""
