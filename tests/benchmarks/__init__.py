"""Measurements at full size (500 stations, 50 zones, 20 meters); they print and assert no timing."""
