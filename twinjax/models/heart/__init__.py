"""Heart cells: membrane currents and calcium, one mechanism per class, in ms and mV."""
