"""The same business after it moved: conversations and responses, and the sessions and turns of the Agents API.

In: a seed. Out: objects as a server would send them, what they add up to, and the routes that serve them.
Never knows: which faults are played.
"""
