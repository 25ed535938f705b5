"""A conversation about a result: a person says what to change or asks why, and gets an answer."""

from agentclust.sessions.conversation import Answer, Session

__all__ = ["Answer", "Session"]
