"""Gets answers: from the cache, or from the service as far as the budget goes."""

from typing import Any

from pydantic import ValidationError

from mechkit.errors import DataError
from mechkit.judges.answer_store import AnswerStore, question_key
from mechkit.judges.llm.budget import Budget
from mechkit.judges.llm.estimate import TokenCounter, by_characters
from mechkit.judges.llm.reading import Messages
from mechkit.judges.llm.service import Answer, Service


class Asker:
    """One way of asking: `request` is all that is sent besides messages, `identity` what else tells answers apart."""

    def __init__(
        self,
        service: Service,
        store: AnswerStore,
        budget: Budget,
        request: dict[str, Any],
        most_tokens: int,
        identity: dict[str, Any],
    ) -> None:
        self.service = service
        self.store = store
        self.budget = budget
        self.request = request
        self.most_tokens = most_tokens
        self.identity = identity
        self._counter: TokenCounter | None = None

    @property
    def counter(self) -> TokenCounter:
        """Counts the model's tokens; made at the first use, for it may read a vocabulary."""
        self._counter = self._counter or TokenCounter(self.request["model"])
        return self._counter

    def held(self, messages: Messages) -> Answer | None:
        """The cached answer; None when there is none, or none that answers this request."""
        held = self.store.get(self._key(messages))
        if held is None:
            return None
        try:
            return Answer.model_validate(held)
        except ValidationError:
            return None

    def answer(self, messages: Messages) -> Answer:
        """The cached answer, else the service's, which is kept as it arrives; a failure when the budget is spent.

        Raises DataError when an answer cannot be kept; nothing more is asked then.
        """
        held = self.held(messages)
        if held is not None:
            return held
        count = self.counter.count if self.budget.capped else by_characters
        reserved = count(messages), self.most_tokens
        if self.service.reason:
            return Answer(failure=f"not asked: {self.service.reason}")
        if not self.budget.reserve(*reserved):
            return Answer(failure=self.budget.spent)
        answer = Answer(failure="interrupted")
        try:
            answer = self.service.ask({**self.request, "messages": messages})
        finally:
            self.budget.settle(reserved, answer.used, answer.repeats, answered=not answer.failure)
        if not answer.failure:
            try:
                self.store.put(self._key(messages), answer.model_dump(mode="json"))
            except DataError:
                self.service.stop("answers cannot be kept")
                raise
        return answer

    def _key(self, messages: Messages) -> str:
        return question_key(messages=messages, request=self.request, **self.identity)
