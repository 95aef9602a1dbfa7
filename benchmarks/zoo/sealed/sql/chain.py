"""LangChain as the question desk uses it: a prompt template piped into a chat model of its own."""

from collections.abc import Callable
from typing import Any

from benchmarks.zoo.sealed.model import Ask, Model, Said
from benchmarks.zoo.sealed.spans import Client


def langchain() -> Client:
    """A Client whose every call is a chain of template and model."""
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langchain_core.prompts import ChatPromptTemplate

    said: list[Said] = []
    asked: list[Callable[[], Said]] = []

    class Sage(BaseChatModel):  # type: ignore[misc]
        """The provider's chat model."""

        model_name: str
        temperature: float = 0.0
        max_tokens: int = 800

        @property
        def _llm_type(self) -> str:
            return "sage"

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model_name": self.model_name, "temperature": self.temperature, "max_tokens": self.max_tokens}

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **more: Any) -> Any:
            answer = asked[-1]()
            said.append(answer)
            usage = {
                "input_tokens": answer.input_tokens,
                "output_tokens": answer.output_tokens,
                "total_tokens": answer.input_tokens + answer.output_tokens,
            }
            about = {
                "model_name": self.model_name,
                "finish_reason": answer.finish,
                "system_fingerprint": answer.fingerprint,
            }
            message = AIMessage(content=answer.text, response_metadata=about, usage_metadata=usage)
            return ChatResult(
                generations=[ChatGeneration(message=message)],
                llm_output={
                    "model_name": self.model_name,
                    "token_usage": {
                        "prompt_tokens": answer.input_tokens,
                        "completion_tokens": answer.output_tokens,
                        "total_tokens": answer.input_tokens + answer.output_tokens,
                    },
                },
            )

    template = ChatPromptTemplate.from_messages([("system", "{system}"), ("human", "{question}")])

    def call(model: Model, ask: Ask, attempt: Callable[[], Said]) -> Said:
        asked[:] = [attempt]
        said.clear()
        sage = Sage(model_name=model.name, temperature=ask.temperature, max_tokens=ask.max_tokens)
        config = {"run_name": ask.step, "metadata": {"prompt": ask.prompt_id, "prompt_version": ask.prompt_version}}
        (template | sage).invoke({"system": ask.system, "question": ask.user}, config=config)
        return said[-1]

    return call
