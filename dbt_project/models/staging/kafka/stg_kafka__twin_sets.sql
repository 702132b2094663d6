{{ config(materialized='table', post_hook='analyze {{ this }}') }}
-- A small table of its own, usually empty: looking for twins must not slow down reading all the other sets.
{{ twin_sets('kafka') }}
