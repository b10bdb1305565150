"""What an inspection is: its views, its verdict, and the rule that makes the verdict."""
