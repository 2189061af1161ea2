"""How a candidate is judged: the built-in verification policies and the rules of the kernel, as pure functions.

The door for a dispatcher: `builtin.bind(binding)` brings a policy, whose `judge(schema, output, params)` evaluates the
text of an output; `verdicts.by_policy` and `verdicts.lowered` make a judgement of the evaluation and of what an author
says; `candidates.OutputRules.read(output_schema, evidence_policy)` takes two members of a contract as the bytes that
came: `digest()` tells whether its schema is usable and stands for it in a step key, `breaches()` looks at an answer;
`judging.Judging.run(check, schema, size_bytes, held_bytes)` does a check where it stands, or in a thread where it is
costly.
"""
