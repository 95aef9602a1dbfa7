"""What every process needs, whatever its part: settings, connections, clocks, health, how it ends."""
