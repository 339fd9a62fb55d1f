// The encoder's blob in flash, read in place.
    .section .rodata.encoder, "a"
    .balign 8
    .global encoder
    .type encoder, %object
encoder:
    .incbin "encoder.blob"
    .size encoder, . - encoder
