"""A LangChain chain with a retriever under OpenInference's instrumentation."""

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnablePassthrough
from langchain_openai import ChatOpenAI
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
LangChainInstrumentor().instrument(tracer_provider=provider)


class Contracts(BaseRetriever):
    """One document, whatever is asked."""

    def _get_relevant_documents(self, query, *, run_manager):
        return [Document(id="contract-7", page_content="Notice: 30 days.", metadata={"page": 2})]


prompt = ChatPromptTemplate.from_messages([("system", "Answer from: {context}"), ("user", "{question}")])
chain = (
    {"context": Contracts(), "question": RunnablePassthrough()}
    | prompt | ChatOpenAI(model="gpt-4o-mini", temperature=0) | StrOutputParser()
)
chain.invoke("How long is the notice?")
provider.shutdown()
