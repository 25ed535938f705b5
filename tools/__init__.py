"""The tools of the agent, one a file.

A tool does a step of the open run, writes its artefacts there and returns a short summary; its
docstring is written for the model that will call it. ``method=ictc`` calls the same tools in fixed
order.
"""
