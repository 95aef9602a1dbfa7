"""What people would use in our place, each as its own documentation recommends it."""
