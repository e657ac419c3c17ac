"""The teacher: messages into answers, each intent written down before it is sent and each answer kept with its cost.

Others use `client.Teacher`, `buy.Buyer` and `ledger.Ledger`. Knows no dataset and no writer's corpus; imports the base only.
"""
