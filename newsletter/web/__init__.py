"""The door for people: ``newsletter.web.app.create_app`` makes the application."""
