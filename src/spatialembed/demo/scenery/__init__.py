"""What a generated street scene is made of: camera and light, street, vehicles, people, traffic."""
