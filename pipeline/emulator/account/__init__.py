"""A generated account: assistants, threads, runs, steps and the truth about them, the same for the same seed.

In: a seed. Out: objects as a server would send them, and what they add up to.
Never knows: how they are served.
"""
