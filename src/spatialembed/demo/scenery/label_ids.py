"""Cityscapes' label ids of what a generated scene holds."""

EGO, STATIC = 1, 4
ROAD, SIDEWALK, BUILDING, POLE, LAMP, SIGN, TREE, GRASS, SKY = 7, 8, 11, 17, 19, 20, 21, 22, 23
PERSON, RIDER, CAR, TRUCK, BUS, MOTORCYCLE, BICYCLE = 24, 25, 26, 27, 28, 32, 33
