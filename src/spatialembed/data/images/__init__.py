"""Images and label masks from files, whole or by windows, each as its file says."""
