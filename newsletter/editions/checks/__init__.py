"""What preflight looks at, one module per thing: the words, the stories, the sender, the message."""
