"""How a method is declared, checked and described."""
