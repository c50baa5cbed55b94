"""Ways to ask for a file with a gap to be completed: the marker that stands in the gap, and the words around it."""

WORDINGS: tuple[tuple[str, str], ...] = (
    ("# TODO: missing part", "{task}\n\nComplete this file and send it back whole, as plain code:\n\n{code}"),
    ("# <fill in>", "Job: {task}\nStarting point:\n---\n{code}\n---\nWrite the finished file. Code only."),
    (
        "# ... to be written",
        "I am stuck on this: {task}\n\n{code}\n\nFinish it, please. Reply with nothing but the code.",
    ),
    (
        "# YOUR LINES GO HERE",
        "Goal: {task}\n\n```python\n{code}\n```\n\nReturn the completed script without any explanation.",
    ),
    ("# gap", "Close the gap in the program below. Purpose: {task}\n\n{code}\n\nOutput: the full program, no prose."),
    (
        "# (unfinished)",
        "<goal>{task}</goal>\n<file>\n{code}\n</file>\nGive me the file with the open spot written. Just code.",
    ),
    (
        "# implement this",
        "Please implement what is left out. {task}\n\n{code}\n\nAnswer with the entire source and no comments on it.",
    ),
    ("# still needed", "{code}\n\nThat is the skeleton. It has to do this: {task} Send the complete source text only."),
    (
        "# >>> insert code <<<",
        "What it is for: {task}\nWhat I have:\n{code}\n\nInsert the rest. Only Python in your answer.",
    ),
    (
        "# part left to you",
        "A colleague left this half done. {task}\n\n{code}\n\nShow the whole file once it works, code alone.",
    ),
    (
        "# [missing]",
        "Requirement: {task}\nSource with one hole:\n\n{code}\n\nPatch the hole, then print the whole source only.",
    ),
    (
        "# continue here",
        "Can you finish my Python? It should do this: {task}\n\n{code}\n\nNo talk, only the final code.",
    ),
    ("# write me", "Ticket: {task}\nBranch contents:\n{code}\n\nDeliver the final file contents and nothing more."),
    (
        "# body to come",
        "Turn the draft into working Python.\nIntent: {task}\nDraft:\n{code}\n\nRespond using code exclusively.",
    ),
    (
        "# <-- your turn",
        "We are pairing on a feature: {task}\n\nI wrote this much:\n\n{code}\n\nYour turn. Paste the full module back, bare.",
    ),
    (
        "# fill this block",
        "=== SPEC ===\n{task}\n=== MODULE ===\n{code}\n=== END ===\nFill the block and output the module text, that is all.",
    ),
    (
        "# omitted",
        "From the text of a lesson, with one passage omitted:\n\n{code}\n\nThe lesson says: {task} Restore the passage and give the full listing.",
    ),
    (
        "# pending",
        "* what: {task}\n* language: Python\n* state: one block pending\n\n{code}\n\nReturn the listing with that block in place. Leave out any remarks.",
    ),
    (
        "# ???",
        "How would you complete this so that it meets the description?\n\nDescription: {task}\n\n{code}\n\nI only want to see the resulting code.",
    ),
    (
        "# stub",
        "Replace the stub. The feature reads: {task}\n\n~~~\n{code}\n~~~\n\nKeep everything else as it stands and answer in code.",
    ),
    (
        "# the rest is up to you",
        "Hello! For our team's tool I need the following: {task}\nHere is where I got to.\n\n{code}\n\nCould you send the finished file? No notes needed.",
    ),
    (
        "# (2)",
        "(1) Read the file.\n(2) Write the part marked (2).\n(3) Print the file.\n\nPurpose of the file: {task}\n\n{code}",
    ),
    (
        "# MISSING LOGIC",
        "TASK\n  {task}\nFILE\n{code}\nDELIVERABLE\n  the same file with its missing logic, as raw text",
    ),
    (
        "# complete from here",
        "{task}\n\nThe module so far is below; the comment says where to go on. Write out the module in full, without fences.\n\n{code}",
    ),
    (
        "# to do",
        "Backlog item: {task}\nDefinition of done: the to-do is replaced by code.\n\n{code}\n\nOnly post the done version.",
    ),
    (
        "# supply the missing statements",
        "Exercise. The program should do this: {task}\nSupply the missing statements in\n\n{code}\n\nand hand in the program itself.",
    ),
    (
        "# blank",
        'Code review left a blank in this patch ("{task}"):\n\n{code}\n\nSend the patch again with the blank filled; nothing else.',
    ),
    (
        "# here",
        "I need help with one place in this file. It is for this: {task}\n\n{code}\n\nThe place says `here`. Send back all of it as code.",
    ),
    (
        "# [...]",
        "Original request: {task}\nCut excerpt of the answer:\n\n{code}\n\nReconstruct the answer without the cut. Code, no words.",
    ),
    (
        "# next lines",
        "Autocomplete this buffer. Project note: {task}\n\n{code}\n\nEmit the complete buffer.",
    ),
    (
        "# needs an implementation",
        "Our script still needs an implementation in one spot. What it must achieve: {task}\n\n[script]\n{code}\n[/script]\n\nWrite the script out whole and stop there.",
    ),
    (
        "# finish me",
        "Please take over this file from me. In short: {task}\n\n{code}\n\nWhen you are through, reply with the file, code only.",
    ),
)
