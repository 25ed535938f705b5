"""The agent: a LangGraph loop of two nodes over the tools. Its messages are its only state.

`decide` says which tool comes next: the code where none but one is right, else the model, which is
told what is wrong and may call only the tools that can mend it. `act` runs the tool. What a tool
did lies in the run; messages.jsonl holds the conversation, and a run that was killed goes on after
its last message.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypedDict

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    ToolCall,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
)
from langchain_core.tools import StructuredTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from pydantic import ValidationError, create_model

from agentclust.agent import planning
from agentclust.agent.planning import Done, Step
from agentclust.errors import (
    AgentclustError,
    BudgetSpent,
    DiskError,
    InputError,
    ModelError,
    RunError,
)
from agentclust.run import Run
from agentclust.tools.ask import ask
from agentclust.tools.ask_again import ask_again
from agentclust.tools.assign import assign
from agentclust.tools.caption import caption
from agentclust.tools.choose_k import choose_k
from agentclust.tools.cluster import cluster
from agentclust.tools.compare import compare
from agentclust.tools.embed import embed
from agentclust.tools.fill import fill
from agentclust.tools.finish import finish
from agentclust.tools.group import group
from agentclust.tools.inspect import inspect as inspect_group
from agentclust.tools.label import label
from agentclust.tools.look import look
from agentclust.tools.merge import merge
from agentclust.tools.name import name
from agentclust.tools.name_again import name_again
from agentclust.tools.refine import refine
from agentclust.tools.score import score
from agentclust.tools.split import split
from agentclust.types import Call, Refusal
from agentclust.work import Work

TOOLS: dict[str, Callable[..., str]] = {
    tool.__name__: tool
    for tool in (
        look, caption, label, name, assign, embed, cluster, score, inspect_group, compare,
        group, name_again, ask_again, split, merge, choose_k, refine, fill, ask, finish,
    )
}  # fmt: skip
GROUPS = {"inspect": ("group",), "split": ("group",), "merge": ("first", "second")}  # arguments
STEPS = 200  # far more than `max_rounds` of any run needs
RESUMED = "resumed"


class State(TypedDict):
    """The conversation."""

    messages: Annotated[list[AnyMessage], add_messages]


def drive(work: Work) -> None:
    """Run the loop to its end: the run's current attempt is then the result.

    Raises:
        InputError: A template or a setting is wrong.
        RunError: Neither the steps nor a fallback can give a result.
    """
    graph = StateGraph(State)
    graph.add_node("decide", lambda state: {"messages": _decide(work, state["messages"])})
    graph.add_node("act", lambda state: {"messages": [_act(work, state["messages"])]})
    for place in (START, "decide", "act"):
        graph.add_conditional_edges(place, _next, ["decide", "act", END])
    graph.compile().invoke({"messages": conversation(work.run)}, {"recursion_limit": STEPS})


def in_fixed_order(work: Work) -> None:
    """The straight line that the agent can be replaced by: each step of IC|TC once."""
    for tool in (caption, label, name, assign, score):
        work.reporter.say(f"{work.run.criterion} · {tool.__name__}: {tool(work)}")


def _next(state: State) -> str:
    last = state["messages"][-1] if state["messages"] else None
    if isinstance(last, AIMessage) and last.tool_calls:
        return "act"
    if isinstance(last, ToolMessage) and last.name == "finish" and last.status != "error":
        return END
    return "decide"


def conversation(run: Run) -> list[AnyMessage]:
    """The messages of a run so far."""
    rows = run.rows("messages.jsonl").known.values()
    return messages_from_dict([row["message"] for row in rows])  # type: ignore[return-value]


def reopen(run: Run) -> None:
    """Let a run that ended for want of a model or of budget go on where it stopped."""
    if not run.state.get("stopped"):
        return
    about = run.about()
    if run.state["fallbacks"] and about["why"].startswith("fallback"):
        run.turn_to(about["of"])
        run.update(result="")
    run.update(stopped="", fallbacks=[], status="waiting")
    _said(run, [HumanMessage("The run was resumed.", name=RESUMED)], len(conversation(run)))


def _said(run: Run, messages: Sequence[AnyMessage], number: int) -> list[AnyMessage]:
    """Keep messages in messages.jsonl, numbered in their order."""
    for offset, message in enumerate(messages):
        message.id = f"m{number + offset:04d}"
        row = {"id": message.id, "message": messages_to_dict([message])[0]}
        run.rows("messages.jsonl").append(row)
    return list(messages)


def done_in(messages: Sequence[AnyMessage]) -> list[Done]:
    """What the tools of a conversation did, in order; what a resumed run takes back left out."""
    calls: dict[str, ToolCall] = {}
    done: list[Done] = []
    for message in messages:
        if isinstance(message, AIMessage):
            calls |= {str(call["id"]): call for call in message.tool_calls}
        elif isinstance(message, ToolMessage):
            call = calls[message.tool_call_id]
            failure = message.artifact or "" if message.status == "error" else ""
            done.append(Done(call["name"], call["args"], failure, str(message.text)))
        elif message.name == RESUMED:
            while done and (done[-1].failure == "stop" or done[-1].tool in ENDS):
                done.pop()
    return done


ENDS = ("embed", "cluster", "fill", "finish")


def _decide(work: Work, messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The next call, and where the model judges what it was told."""
    done = done_in(messages)
    told: list[AnyMessage] = []
    try:
        step = planning.planned(work, done)
        if step is None:
            text, step = _judged(work, done)
            told = [HumanMessage(text)]
    except (ModelError, BudgetSpent) as error:
        work.run.update(stopped=str(error))
        step = planning.rescue(work, str(error))
    call = ToolCall(name=step.tool, args=step.args, id=f"call_{len(done)}", type="tool_call")
    return _said(work.run, [*told, AIMessage(step.why, tool_calls=[call])], len(messages))


def _judged(work: Work, done: Sequence[Done]) -> tuple[str, Step]:
    """What the model was told, and the step it chose; the code's own where it chooses none."""
    found = planning.findings(work, done)
    chosen = planning.options(work, found, done)
    request = work.run.template("decide").render(
        criterion=work.run.criterion,
        k=work.run.n_clusters,
        n=len(work.samples),
        attempts=planning.story(work),
        findings=[finding.text for finding in found] + [d.text for d in done if d.tool == "ask"],
        options=[f"{s.tool}({', '.join(map(str, s.args.values()))}): {s.why}" for s in chosen],
    )
    tools = offered(work, chosen)
    with work.paying("decide"):
        answer = work.llm.call(request, tools)
    known = {tool["function"]["name"] for tool in tools}
    if isinstance(answer, Call) and answer.name in known:
        return request.user, Step(answer.name, answer.args, "the model's choice")
    why = answer.reason if isinstance(answer, Refusal) else "the model chose none of the tools"
    return request.user, Step(chosen[0].tool, chosen[0].args, f"{why}: {chosen[0].why}")


def offered(work: Work, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Definitions of the tools a model may call now, in OpenAI's form.

    Arguments that name a group can only be one that there is.
    """
    names = (work.run.read("clusters.json") or {}).get("names", [])
    found = []
    looks = [
        tool
        for tool in planning.LOOKS
        if (work.person if tool == "ask" else not work.llm.in_process)
    ]
    for tool in dict.fromkeys([*(step.tool for step in steps), *looks, "finish"]):
        definition = convert_to_openai_tool(as_tool(work, tool))
        arguments = definition["function"]["parameters"]["properties"]
        of_groups = GROUPS.get(tool, ())
        for argument in of_groups:
            arguments[argument]["enum"] = list(names)
        if names or not of_groups:
            found.append(definition)
    return found


def as_tool(work: Work, tool: str) -> StructuredTool:
    """A tool as LangChain has it: its name, its docstring, its arguments but for the work."""
    function = TOOLS[tool]
    text = inspect.getdoc(function) or ""
    says, _, told = text.partition("Args:")
    described = {
        line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in told.splitlines()
    }
    fields: dict[str, Any] = {}
    signature = inspect.signature(function, eval_str=True)
    for parameter in list(signature.parameters.values())[1:]:
        told_of = described.get(parameter.name, "")
        fields[parameter.name] = (Annotated[parameter.annotation, told_of], ...)
    return StructuredTool(
        name=tool,
        description=" ".join(says.split()),
        args_schema=create_model(tool, **fields),
        func=lambda **args: function(work, **args),
    )


def _act(work: Work, messages: Sequence[AnyMessage]) -> AnyMessage:
    """Run the tool that is called; what it cannot do comes back as a message."""
    last = messages[-1]
    assert isinstance(last, AIMessage)
    call = last.tool_calls[0]
    run = work.run
    run.call = str(call["id"])
    failure = ""
    try:
        text = str(as_tool(work, call["name"]).invoke(call["args"]))
    except DiskError:
        raise  # no fallback either could be kept: the run stops here and is resumed
    except (AgentclustError, ValidationError) as error:
        failure, text = "error", str(error)
        if isinstance(error, InputError) and call["name"] in planning.OPENING:
            raise
        if call["name"] in ENDS:
            why = f"nor is there a fallback ({text})"
            raise RunError(call["args"]["why"], why, "mend it and resume the run") from error
        if isinstance(error, ModelError | BudgetSpent):
            failure = "stop"
            run.update(stopped=text)
    work.reporter.say(f"{run.criterion} · {call['name']}: {text}")
    message = ToolMessage(
        text,
        name=call["name"],
        tool_call_id=call["id"],
        status="error" if failure else "success",
        artifact=failure or None,
    )
    return _said(run, [message], len(messages))[0]
