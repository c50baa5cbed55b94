"""Everyday chat questions that have nothing to do with code."""

QUESTIONS = (
    "What could I cook tonight with two courgettes and some rice?",
    "My neighbour plays the drums late at night. How do I bring it up kindly?",
    "How often should I water a basil plant on a sunny windowsill?",
    "I have a free Saturday and no plans. What would you do?",
    "Which books would you give to a twelve-year-old who loves the sea?",
    "How do I stop comparing myself with my older sister?",
    "What is a good way to fall asleep after a long flight?",
    "Can you suggest a short toast for my grandparents' golden wedding?",
    "Why do my scrambled eggs always turn out watery?",
    "I feel nervous before meeting new people. Any advice?",
    "What should I pack for three days of hiking in autumn?",
    "Is it rude to leave a party without saying goodbye to everyone?",
    "How can I teach my dog to wait at the door?",
    "What makes a city pleasant to live in?",
    "My friend forgot my birthday. Should I say something?",
    "Could you invent a bedtime story about a hedgehog and the moon?",
    "How do I get a red wine stain out of a cotton shirt?",
    "Which small habit has the biggest effect on a person's mood?",
    "I was offered a job far away from my family. How should I decide?",
    "What is the nicest thing about winter?",
    "How much should I tip a hairdresser?",
    "Tell me what you think of people who never change their minds.",
    "I want to start running but I get bored quickly. What can I try?",
    "What would you talk about with a stranger on a long train ride?",
)


def load_questions() -> list[str]:
    """The questions, in a fixed order."""
    return list(QUESTIONS)
