//! What runs on the device.
#![no_std]
