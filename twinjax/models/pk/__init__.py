"""Where the drug goes: absorption, distribution, elimination, binding to the target."""
