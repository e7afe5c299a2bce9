"""What the kernel offers, without anything of ours."""
