"""Langfuse's SDK and its wrapper of OpenAI's client."""

from langfuse import get_client, observe
from langfuse.openai import OpenAI


@observe(name="search", as_type="retriever")
def search(question):
    """What a retriever would do."""
    return ["contract-7"]


@observe(name="answer a question")
def ask(question):
    """One question."""
    search(question)
    said = OpenAI().chat.completions.create(model="gpt-4o-mini", temperature=0,
                                            messages=[{"role": "user", "content": question}])
    return said.choices[0].message.content


ask("How long is the notice?")
get_client().shutdown()
