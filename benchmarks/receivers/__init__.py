"""Receivers that stand beside ours."""
