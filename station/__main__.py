"""`python -m station`."""

from station.commands.main import main

if __name__ == "__main__":
    main()
