"""What JSON and text of archives hold: runs, steps, and lists of them. A file for each family of shapes.

In: the bytes of one document. Out: everything it holds, with where it stands. A new shape is a new file, which the
reader of objects asks.
Never knows: files, packings, what is done with what was found.
"""
