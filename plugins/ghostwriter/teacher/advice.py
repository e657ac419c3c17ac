"""What a person does about a fault of the teacher that no further try mends."""

ADVICE = {
    "key_refused": "Put a key that may use this model into the teacher's connection (the password field).",
    "quota": "Top up the teacher's account.",
    "model_unknown": "Write a model that this endpoint serves in teacher.model, or mend its base URL (most end in /v1).",
}
"""By the fault's code."""
