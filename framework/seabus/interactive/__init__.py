# SPDX-License-Identifier: Apache-2.0
"""Fault sessions at a prompt: a living world, and the words of the test API in scope.

======================================  ==============================================================
:mod:`~seabus.interactive.loop`         the thread whose event loop runs while the prompt waits
:mod:`~seabus.interactive.playground`   the world that can be rewound, and what was made in it
:mod:`~seabus.interactive.states`       states of it that were frozen by name
:mod:`~seabus.interactive.scope`        the names that a session begins with
:mod:`~seabus.interactive.prompt`       IPython, the standard library's prompt, or a script
:mod:`~seabus.interactive.decoding`     ``decode``, which saved tests import
:mod:`~seabus.interactive.live`         events as they happen, above the prompt
:mod:`~seabus.interactive.typed`        what was typed since the world began
:mod:`~seabus.interactive.free_names`   what a piece of Python reads before it makes it
:mod:`~seabus.interactive.saved_test`   what was done, as a pytest
======================================  ==============================================================
"""
