"""What the agent leaves behind."""

from agentclust import agent


def complete(work) -> bool:
    """Whether every sample has a cluster or a reason in the attempt that is the result."""
    assert work.run.state["attempt"] == work.run.state["result"]
    rows = work.run.step_rows("assignments").known
    names = work.run.read("clusters.json")["names"]
    return all(
        rows[s.id]["name"] in names if rows[s.id]["cluster"] >= 0 else rows[s.id]["reason"]
        for s in work.samples
    )


def tools_of(work) -> list[str]:
    return [step.tool for step in agent.done_in(agent.conversation(work.run))]
