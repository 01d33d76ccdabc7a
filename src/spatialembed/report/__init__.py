"""What a person looks at: tables on the screen, pictures, and one page that holds them."""
