"""Votes: which of two answers a person preferred without knowing whose they were, and what is made of it.

comparison    two answers under the letters A and B, and the draw that decides which stands where
sealed        a comparison as a text the browser keeps until the vote, and cannot read
records       votes and kept chats in the project's database
export        votes as TRL's preference and KTO rows, without held-out questions
removal       what a purge takes out
win_rate      how often one version is preferred over another, with its interval
"""
