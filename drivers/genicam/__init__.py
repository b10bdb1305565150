"""The camera driver over GenICam: any GenTL producer, through harvesters."""
