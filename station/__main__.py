"""`python -m station`."""

from station.commands.app import main

if __name__ == "__main__":
    main()
