"""What generated volumes are made of: nuclei, and the microscope that looks at them."""
