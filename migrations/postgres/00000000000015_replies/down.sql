-- The versions 13 and 15 stay named as harmless: migration 14 has named 15, and 13 is harmless.
DROP TABLE replies;
