"""What the commands do, apart from their declarations: each command imports its action when it runs."""
