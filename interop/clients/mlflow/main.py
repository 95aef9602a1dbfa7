"""MLflow's tracing: its autologging of OpenAI's client, exported over OTLP."""

import mlflow
import mlflow.openai
from mlflow.entities import Document, SpanType
from mlflow.tracing.provider import provider
from openai import OpenAI

mlflow.openai.autolog()


@mlflow.trace(name="search", span_type=SpanType.RETRIEVER)
def search(question):
    """What a retriever would do."""
    return [Document(id="contract-7", page_content="Notice is thirty days.", metadata={"doc_uri": "contract-7"})]


@mlflow.trace(name="answer a question", span_type=SpanType.CHAIN)
def ask(question):
    """One question."""
    search(question)
    said = OpenAI().chat.completions.create(model="gpt-4o-mini", temperature=0,
                                            messages=[{"role": "user", "content": question}])
    return said.choices[0].message.content


ask("How long is the notice?")
provider.get().force_flush()
