"""How the conclusions of many steps become one decision."""
