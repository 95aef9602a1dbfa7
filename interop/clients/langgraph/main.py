"""A graph of LangGraph with a tool node, under OpenLLMetry's instrumentation of LangChain."""

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.langchain import LangchainInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
LangchainInstrumentor().instrument(tracer_provider=provider)


@tool
def search(question: str) -> str:
    """Look into the contract."""
    return "Notice is thirty days."


model = ChatOpenAI(model="gpt-4o-mini", temperature=0, max_retries=0).bind_tools([search])


def answer(state: MessagesState):
    """Ask the model."""
    return {"messages": [model.invoke(state["messages"])]}


graph = StateGraph(MessagesState)
graph.add_node("answer", answer)
graph.add_node("tools", ToolNode([search]))
graph.set_entry_point("answer")
graph.add_conditional_edges("answer", tools_condition)
graph.add_edge("tools", "answer")
try:
    graph.compile(name="contracts").invoke(
        {"messages": [("user", "How long is the notice?")]}, {"configurable": {"thread_id": "session-7"}}
    )
finally:
    provider.shutdown()
