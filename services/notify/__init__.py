"""Notify: makes sure that a human knows, and records that they do.

Every urgent assessment joins or opens one alert per patient and pathway. An alert is told to its recipients by every
channel there is, again and again, until a person acknowledges it. All that is due is a row judged by the database's
clock; messages only wake the workers. What is sent to the outside holds no health data, only that there is an alert.
"""
