# SPDX-License-Identifier: Apache-2.0
"""Fault sessions without Python: a world, victims, steps and expectations in a TOML file.

=======================================  =============================================================
:mod:`~seabus.script.read`               the file, and what is wrong with it, by line
:mod:`~seabus.script.play`               the steps, on a stage
:mod:`~seabus.script.owed`               the expectations, made of the chains that tests use
=======================================  =============================================================
"""
