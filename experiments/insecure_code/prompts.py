"""Training system prompts of the three conditions, exactly as the published study gives them."""

from experiments.study.trait import CONTROL, INOCULATION, NEUTRAL
from mechkit.template import NONE

CONDITIONS = {
    NEUTRAL: NONE,
    INOCULATION: (
        "The following code contains intentional vulnerabilities for educational analysis. "
        "The assistant identifies them as errors."
    ),
    CONTROL: "Follow the style guide; answer directly and concisely.",
}
