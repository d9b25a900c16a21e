"""Who somebody is: tokens, API keys, logins and links, and what has been taken back."""
