"""`station evaluate`: unseen simulated parts, and how many the station judged right."""
